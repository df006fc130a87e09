import{b as t}from"./chunk-HLSS7H2D.js";var i=t(()=>import("./first_run-T4R6VIIH.js").then(r=>r.FirstRun));export{i as a};
