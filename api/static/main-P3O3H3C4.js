import{r as a,s as b}from"./chunk-PFGL6VTR.js";import"./chunk-FDFMLGYP.js";export{b as findOffset,a as mountEditor};
