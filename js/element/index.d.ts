/** `<reprise-chat>` and `<reprise-complete>`: importing this module defines both. See `README.md` beside it. */
import type { GenerateOptions, LoadProgress, Message, Model, Result } from '../index.js'

declare class RepriseElement extends HTMLElement {
  src: string
  /** Null until it can be used. */
  readonly model: Model | null
  readonly busy: boolean
  /** `stream()`'s options, from the attributes. */
  readonly options: GenerateOptions
  load(): Promise<Model>
  stop(): void
}

export class RepriseChat extends RepriseElement {
  /** System message first. Setting it replaces the conversation. */
  messages: Message[]
  send(text: string): Promise<Result>
  clear(): void
}

export class RepriseComplete extends RepriseElement {
  static readonly formAssociated: true
  value: string
  readonly defaultValue: string
  name: string
  readonly type: 'reprise-complete'
  readonly form: HTMLFormElement | null
  readonly labels: NodeList
  readonly validity: ValidityState
  readonly validationMessage: string
  readonly willValidate: boolean
  /** What is offered now; empty: nothing. */
  readonly suggestion: string
  /** Asks for an offer now. Resolves to it. */
  suggest(): Promise<string>
  /** Takes the offer. */
  accept(): void
  checkValidity(): boolean
  reportValidity(): boolean
}

declare global {
  interface HTMLElementTagNameMap {
    'reprise-chat': RepriseChat
    'reprise-complete': RepriseComplete
  }
  interface HTMLElementEventMap {
    'reprise-ready': CustomEvent<{ model: Model }>
    'reprise-progress': CustomEvent<LoadProgress>
    'reprise-token': CustomEvent<{ text: string }>
    'reprise-message': CustomEvent<{ message: Message; result?: Result }>
    'reprise-suggestion': CustomEvent<{ text: string }>
    'reprise-accept': CustomEvent<{ text: string }>
    'reprise-error': CustomEvent<{ error: Error }>
  }
}
