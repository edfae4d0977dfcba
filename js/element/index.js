// Defines <reprise-chat> and <reprise-complete>. One tag on a page is enough:
//
//     <script type="module" src="reprise/element/index.js"></script>
//     <reprise-chat src="model.gguf"></reprise-chat>
import { RepriseChat } from './chat.js'
import { RepriseComplete } from './complete.js'

export { RepriseChat, RepriseComplete }

if (globalThis.customElements) {
  if (!customElements.get('reprise-chat')) customElements.define('reprise-chat', RepriseChat)
  if (!customElements.get('reprise-complete')) customElements.define('reprise-complete', RepriseComplete)
}
