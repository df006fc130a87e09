import{c as a,d as b}from"./chunk-AGXRM623.js";import"./chunk-FDFMLGYP.js";export{b as findOffset,a as mountEditor};
