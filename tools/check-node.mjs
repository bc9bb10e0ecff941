// First step of the test commands. Plain old JavaScript, so that an old Node can read it and say so.
const NEEDED = 24;
const major = Number(process.versions.node.split(".")[0]);
if (major < NEEDED) {
  process.stderr.write(
    `Holdfast needs Node ${NEEDED} or newer; this is ${process.version} (${process.execPath}). ` +
      `\`npm ci\` on Linux puts one into node_modules/.bin; elsewhere install Node ${NEEDED} and try again.\n`,
  );
  process.exit(1);
}
