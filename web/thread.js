// A thread of the engine under an address in the pages' scope, beside worker.js and for the same reason.
import '../js/thread.js'
