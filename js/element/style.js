// The look of both elements. Colours, font and corners are custom properties that a page can set; parts can be styled
// with ::part(). Constructable style sheets need no 'unsafe-inline'.

const css = `
:host {
  --accent: var(--reprise-accent, #0b665a);
  --on-accent: var(--reprise-on-accent, #fff);
  --ground: var(--reprise-background, Canvas);
  --text: var(--reprise-text, CanvasText);
  --soft: var(--reprise-soft, color-mix(in srgb, var(--text) 68%, var(--ground)));
  --line: var(--reprise-line, color-mix(in srgb, var(--text) 22%, var(--ground)));
  --edge: var(--reprise-edge, color-mix(in srgb, var(--text) 50%, var(--ground)));
  --radius: var(--reprise-radius, 0.625rem);
  display: block;
  color: var(--text);
  font: 1rem/1.5 var(--reprise-font, inherit);
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
p, ol { margin: 0; padding: 0; }
button, textarea { font: inherit; color: inherit; }
button {
  min-height: 2.5rem;
  padding: 0.375rem 1rem;
  border: 1px solid var(--accent);
  border-radius: calc(var(--radius) * 0.8);
  background: var(--accent);
  color: var(--on-accent);
  font-weight: 600;
  cursor: pointer;
}
button:disabled { opacity: 0.55; cursor: default; }
textarea {
  display: block;
  width: 100%;
  min-height: 2.75rem;
  padding: 0.5rem 0.75rem;
  border: 1px solid var(--edge);
  border-radius: calc(var(--radius) * 0.8);
  background: var(--ground);
  resize: none;
}
textarea:disabled { color: var(--soft); }
::placeholder { color: var(--soft); opacity: 1; }
:focus-visible { outline: 2.5px solid var(--accent); outline-offset: 2px; }
progress { display: block; width: 100%; height: 0.375rem; accent-color: var(--accent); }
[part~='status']:empty { display: none; }
[part~='status'], [part~='hint'] { color: var(--soft); font-size: 0.875rem; overflow-wrap: anywhere; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

[part~='frame'] {
  position: relative;
  display: flex;
  flex-direction: column;
  gap: 0.75rem;
  height: var(--reprise-height, 28rem);
  padding: 1rem;
  border: 1px solid var(--line);
  border-radius: var(--radius);
  background: var(--ground);
}
[part~='messages'] { flex: 1; overflow-y: auto; display: flex; flex-direction: column; gap: 0.75rem; list-style: none; }
[part~='message'] { max-width: 88%; white-space: pre-wrap; overflow-wrap: anywhere; }
[part~='user'] {
  align-self: flex-end;
  padding: 0.375rem 0.75rem;
  border-radius: var(--radius);
  background: color-mix(in srgb, var(--accent) 14%, var(--ground));
}
[part~='form'] { display: flex; gap: 0.625rem; align-items: flex-end; }

[part~='field'] { position: relative; display: grid; }
[part~='field'] > textarea, [part~='field'] > .mirror {
  grid-area: 1 / 1;
  min-height: 5rem;
  padding: 0.5rem 0.75rem;
  border: 1px solid var(--edge);
  border-radius: calc(var(--radius) * 0.8);
  white-space: pre-wrap;
  overflow-wrap: break-word;
  overflow: hidden;
}
[part~='field'] > .mirror { background: var(--ground); color: transparent; border-color: transparent; }
[part~='field'] > textarea { background: none; }
[part~='suggestion'] { color: var(--soft); }
[part~='foot'] {
  position: relative;
  display: flex;
  flex-wrap: wrap;
  gap: 0.25rem 0.75rem;
  align-items: center;
  min-height: 2.25rem;
  padding-top: 0.25rem;
}
[part~='foot'] button { min-height: 2rem; padding: 0.125rem 0.75rem; }
[part~='foot'] progress { width: 8rem; }
@supports (color: light-dark(#000, #fff)) {
  :host {
    --accent: var(--reprise-accent, light-dark(#0b665a, #6ccab6));
    --on-accent: var(--reprise-on-accent, light-dark(#fff, #06231e));
  }
}
`

/** @type {CSSStyleSheet | undefined} */
let sheet

/** @param {ShadowRoot} root */
export function applyStyle(root) {
  if (!sheet) {
    sheet = new CSSStyleSheet()
    sheet.replaceSync(css)
  }
  root.adoptedStyleSheets = [sheet]
}
