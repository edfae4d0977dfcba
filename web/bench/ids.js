// Token ids to compute with: above those that control anything, and another first one for each `seed`, so that no cache of prompts
// has anything to give.

/** @param {number} count @param {number} vocabulary @param {number} [seed] */
export const ids = (count, vocabulary, seed = 0) => (
  Array.from({ length: count }, (_, i) => 300 + (seed * 31 + (i + 1) * 7919) % (vocabulary - 300)))
