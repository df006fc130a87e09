import{b as t}from"./chunk-QM7K4S6G.js";var i=t(()=>import("./first_run-JJTMCY54.js").then(r=>r.FirstRun));export{i as a};
