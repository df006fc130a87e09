import{c as a,d as b}from"./chunk-H6YC4PSQ.js";import"./chunk-FDFMLGYP.js";export{b as findOffset,a as mountEditor};
