import{b as t}from"./chunk-7DSQOHXU.js";var i=t(()=>import("./first_run-V4TXUJET.js").then(r=>r.FirstRun));export{i as a};
