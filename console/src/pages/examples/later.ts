// The page of an empty installation, loaded where there is one.
import { loadLater } from "../../parts/later";

export const FirstRun = loadLater(() => import("./first_run").then((loaded) => loaded.FirstRun));
