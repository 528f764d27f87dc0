// Charts over time by uPlot, each with a table of the same figures for those who cannot see a canvas, and CSV and PNG.
import uPlot from 'uplot'
import { csv, download, h } from './dom.js'
import { time } from './format.js'

// Okabe and Ito's colours, told apart by everybody; dashes besides.
const palette = ['--series-1', '--series-2', '--series-3', '--series-4']
const dashes = [undefined, [6, 4], [2, 3], [10, 3, 2, 3]]
// A canvas does not know light-dark(): a probe element resolves it.
const probe = h('span', { hidden: true })
function colour(name) {
  if (!probe.isConnected) document.body.append(probe)
  probe.style.color = `var(${name})`
  return getComputedStyle(probe).color
}

// series: { name, unit, band?: true (drawn as a thin line that limits the band) }; data: [seconds, ...values]
// onrange(fromMs, toMs): somebody dragged over a span of time.
export function chart({ title, series, unit, onrange, height = 220 }) {
  let data = [[], ...series.map(() => [])]
  let plot
  const canvas = h('div', { class: 'canvas', style: `min-height: ${height + 30}px` })
  const summary = h('p', { class: 'hidden-text' })
  const tableBox = h('div', { class: 'scroll chart-table', hidden: true, tabindex: 0, role: 'region', 'aria-label': title + ', as a table' })
  const toggle = h('button', { type: 'button', 'aria-expanded': 'false', onclick: () => {
    tableBox.hidden = !tableBox.hidden
    toggle.setAttribute('aria-expanded', String(!tableBox.hidden))
    if (!tableBox.hidden) drawTable()
  } }, 'Table')
  const file = 'pgsteer-' + title.toLowerCase().replaceAll(/[^a-z]+/g, '-')
  const element = h('figure', { class: 'chart' },
    h('figcaption', {}, h('h2', {}, title), h('span', { class: 'tools' }, toggle,
      h('button', { type: 'button', onclick: () => download(file + '.csv', 'text/csv', csv(['time', ...series.map((s) => s.name)],
        data[0].map((at, i) => [new Date(at * 1000).toISOString(), ...data.slice(1).map((column) => column[i])]))) }, 'CSV'),
      h('button', { type: 'button', onclick: savePng }, 'PNG'))),
    canvas, summary, tableBox)

  function savePng() {
    const from = plot.ctx.canvas
    const copy = h('canvas', {})
    copy.width = from.width
    copy.height = from.height
    const context = copy.getContext('2d')
    context.fillStyle = colour('--paper')
    context.fillRect(0, 0, copy.width, copy.height)
    context.drawImage(from, 0, 0)
    copy.toBlob((blob) => download(file + '.png', 'image/png', blob))
  }

  function drawTable() {
    const last = Math.max(0, data[0].length - 60)
    const shown = (value) => (value === null || value === undefined ? '–' : unit(value))
    const rows = data[0].slice(last).map((at, i) =>
      h('tr', {}, h('td', {}, time(at * 1000)), data.slice(1).map((column) => h('td', { class: 'right' }, shown(column[last + i])))))
    tableBox.replaceChildren(h('table', {}, h('caption', { class: 'hidden-text' }, title),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'time'), series.map((s) => h('th', { scope: 'col', class: 'right' }, s.name)))),
      h('tbody', {}, rows.reverse())))
  }

  const options = () => ({
    width: Math.max(200, canvas.clientWidth),
    height,
    cursor: { drag: { x: Boolean(onrange), y: false, setScale: false } },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (self, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line') }, values: (self, ticks) => ticks.map((t) => (ticks.at(-1) - ticks[0] < 600 ? time(t * 1000) : time(t * 1000).replace(/:\d\d$/, ''))), space: 80 },
      { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line') }, values: (self, ticks) => ticks.map((t) => unit(t)), size: 70 },
    ],
    series: [{ label: 'time', value: (self, at) => (at ? time(at * 1000) : '–') },
      ...series.map((s, i) => ({
        label: s.name, stroke: colour(palette[s.colour ?? i]), dash: s.band ? [3, 3] : dashes[i], width: s.band ? 1 : 2, spanGaps: true,
        points: { show: s.dots ?? false, size: 5 }, value: (self, value) => (value === null || value === undefined ? '–' : unit(value)),
      }))],
    bands: series.flatMap((s, i) => (s.bandTo ? [{ series: [i + 1, i + 1 + s.bandTo], fill: colour('--band') }] : [])),
    hooks: onrange ? { setSelect: [(self) => {
      if (self.select.width < 4) return
      const from = self.posToVal(self.select.left, 'x'), to = self.posToVal(self.select.left + self.select.width, 'x')
      self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)
      onrange(from * 1000, to * 1000)
    }] } : {},
  })

  function make() {
    plot?.destroy()
    plot = new uPlot(options(), data, canvas)
  }
  const watcher = new ResizeObserver(() => plot && plot.setSize({ width: Math.max(200, canvas.clientWidth), height }))
  const scheme = matchMedia('(prefers-color-scheme: dark)')
  const theme = new MutationObserver(make)
  return {
    element,
    set(next) {
      data = next
      if (!plot) {
        make()
        watcher.observe(canvas)
        scheme.addEventListener('change', make)
        theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
      } else plot.setData(data)
      const last = data[0].length - 1
      summary.textContent = last < 0 ? 'No figures yet.' : 'Latest: ' + series.map((s, i) => `${s.name} ${data[i + 1][last] === null ? '–' : unit(data[i + 1][last])}`).join(', ')
      if (!tableBox.hidden) drawTable()
    },
    dispose() {
      watcher.disconnect()
      theme.disconnect()
      scheme.removeEventListener('change', make)
      plot?.destroy()
    },
  }
}
