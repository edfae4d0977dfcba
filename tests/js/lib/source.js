// Just enough reading of C and JavaScript for the tidy test: comments and literals blanked out, and what stands between
// outermost braces. It is no parser: code that fools it wants to be written plainer.

const LITERALS = {
  c: /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g,
  js: /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|(?<=[=(,:!&|?{;\n]\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//g,
};
const blank = (text) => text.replace(/[^\n]/g, ' ');

/** The same text, line for line, with comments blanked out. */
export function withoutComments(text) {
  return text.replace(LITERALS.c, (part) => (part.startsWith('/') ? blank(part) : part));
}

/**
 * Functions and their length from the line of the opening brace's statement to that of the closing brace. In
 * JavaScript the methods of a class are functions and the class is not.
 * @param {string} text
 * @param {string} language 'c', 'h' or 'js'
 * @returns {{ line: number, lines: number }[]}
 */
export function functionsOf(text, language) {
  const code = text.replace(language === 'js' ? LITERALS.js : LITERALS.c, blank);
  const opens = language === 'js' ? /(\bfunction\b[^{};]*|\)\s*|=>\s*|^\s*(async\s+)?\*?[#\w]+\s*\([^;]*\)\s*)$/ : /\)\s*$/;
  const control = /\b(if|for|while|switch|catch|with)\s*(await\s*)?\([^]*\)\s*$/;
  const found = [], stack = [];
  let line = 1, since = 0;
  for (let at = 0; at < code.length; at++) {
    const letter = code[at];
    if (letter === '\n') line++;
    else if (letter === '{') {
      const before = code.slice(since, at);
      stack.push({ line, isFunction: opens.test(before) && !control.test(before) });
      since = at + 1;
    } else if (letter === '}') {
      const { line: start = line, isFunction = false } = stack.pop() ?? {};
      if (isFunction) found.push({ line: start, lines: line - start + 1 });
      since = at + 1;
    } else if (letter === ';') since = at + 1;
  }
  return found;
}
