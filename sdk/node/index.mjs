import tidegate from "./lib/index.js";

export const { attach, Link } = tidegate;
export default tidegate;
