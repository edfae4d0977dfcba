// The picture of the comparison, as SVG: loss over bytes, each kind of program in its colour, the Pareto front as a line.

const WIDTH = 760, HEIGHT = 400, LEFT = 64, BOTTOM = 48, TOP = 28, RIGHT = 110
const COLOURS = { distinct: '#4c78a8', row: '#f58518', stack: '#54a24b', middle: '#b279a2', one: '#e45756', wide: '#9d755d' }
const STYLE = `text{font:12px system-ui,sans-serif;fill:#444}.axis{stroke:#999}.front{stroke:#999;stroke-dasharray:4 4;fill:none}
@media (prefers-color-scheme:dark){text{fill:#ccc}}`

/** @typedef {{ name: string, seed: number, bytes: number, loss: number }} Point */

/** @param {Point[]} points @param {Point[]} front those that no other beats */
export function plot(points, front) {
  const losses = points.map(({ loss }) => loss), most = Math.max(...points.map(({ bytes }) => bytes)) * 1.08
  const low = Math.floor(Math.min(...losses) * 50 - 0.5) / 50, high = Math.ceil(Math.max(...losses) * 50 + 0.5) / 50
  /** @param {number} bytes */
  const x = (bytes) => LEFT + (bytes / most) * (WIDTH - LEFT - RIGHT)
  /** @param {number} loss */
  const y = (loss) => TOP + ((high - loss) / (high - low)) * (HEIGHT - TOP - BOTTOM)
  const ticks = Array.from({ length: Math.round((high - low) * 50) + 1 }, (_, i) => low + i / 50)
  const line = [...front].sort((a, b) => a.bytes - b.bytes).map(({ bytes, loss }, i) => `${i ? 'L' : 'M'}${x(bytes).toFixed(1)} ${y(loss).toFixed(1)}`)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Validation loss over bytes of the file">
<style>${STYLE}</style>
<path class="axis" d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}" fill="none"/>
${ticks.map((t) => `<text x="${LEFT - 8}" y="${(y(t) + 4).toFixed(1)}" text-anchor="end">${t.toFixed(2)}</text>`).join('\n')}
${[1, 2, 3, 4].filter((m) => m * 1e6 < most).map((m) => `<text x="${x(m * 1e6).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${m} MB</text>`).join('\n')}
<text x="8" y="16">nats a byte on stories that are not in the training text</text><text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">file, Q8_0</text>
<path class="front" d="${line.join('')}"/>
${points.map((point) => `<circle cx="${x(point.bytes).toFixed(1)}" cy="${y(point.loss).toFixed(1)}" r="${point.seed === 1 ? 5 : 3}" fill="${colour(point)}"><title>${point.name}: ${point.loss.toFixed(4)}</title></circle>`).join('\n')}
${Object.entries(COLOURS).map(([kind, colour], i) => `<circle cx="${WIDTH - RIGHT + 28}" cy="${TOP + 12 + 20 * i}" r="5" fill="${colour}"/><text x="${WIDTH - RIGHT + 40}" y="${TOP + 16 + 20 * i}">${kind}</text>`).join('\n')}
</svg>
`
}

/** @param {Point} point */
const colour = ({ name }) => COLOURS[/** @type {keyof typeof COLOURS} */ (name.split('-')[1])]
