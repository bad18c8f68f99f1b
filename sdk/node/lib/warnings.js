"use strict";

/** A warning of the process (`process.on("warning")`), with a `code` to filter by. */
function warn(code, message) {
  process.emitWarning(message, { type: "TidegateWarning", code });
}

module.exports = { warn };
