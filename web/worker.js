// The engine's worker under an address in the pages' scope: a service worker only answers for workers whose own address
// is in its scope. The files that it imports may lie anywhere.
import '../js/worker.js'
