import { get } from '../api.js'
import { h } from '../dom.js'
import { count, factor, ms } from '../format.js'
import { csvButton, virtualTable } from '../table.js'

const FIRST = 200, ALL = 20000

const columns = [
  { name: 'query', label: 'Statement', text: true, class: 'code query', link: true, show: (q) => (q.query || q.fingerprint).slice(0, 300), title: (q) => q.query.slice(0, 2000) },
  { name: 'database', label: 'Database', text: true, class: 'narrow' },
  { name: 'calls', label: 'Calls', class: 'right', show: (q) => count(q.calls) },
  { name: 'total_ms', label: 'Total', class: 'right', show: (q) => ms(q.total_ms) },
  { name: 'mean_ms', label: 'Mean', class: 'right', show: (q) => ms(q.mean_ms) },
  { name: 'p95_ms', label: 'p95', class: 'right', show: (q) => ms(q.p95_ms) },
  { name: 'predicted_ms', label: 'Predicted', class: 'right', show: (q) => ms(q.predicted_ms || null) },
  { name: 'q_error_p50', label: 'Off by', class: 'right', show: (q) => factor(q.q_error_p50), title: () => 'median q-error: 1.00× is exact' },
  { name: 'saved_ms', label: 'Saved', class: 'right', show: (q) => (q.saved_ms ? ms(q.saved_ms) : '–') },
  { name: 'errors', label: 'Errors', class: 'right', show: (q) => count(q.errors) },
  { name: 'action', label: 'Action', text: true, class: 'action', title: (q) => q.action },
]
const exported = ['fingerprint', 'database', 'kind', 'calls', 'errors', 'rows', 'total_ms', 'mean_ms', 'p50_ms', 'p95_ms', 'p99_ms', 'predicted_ms',
  'q_error_p50', 'saved_ms', 'cache_hits', 'rewritten', 'steered', 'cacheable', 'reason', 'action', 'query'].map((name) => ({ name }))

const filters = {
  all: () => true,
  changed: (q) => q.rewritten + q.steered > 0,
  cached: (q) => q.cache_hits > 0,
  errors: (q) => q.errors > 0,
  mispredicted: (q) => q.q_error_p50 > 2,
  slow: (q) => q.p95_ms > 100,
}

export function statements(root, { query }) {
  const sort = { by: query.get('sort') ?? 'total_ms', down: query.get('up') === null }
  const search = h('input', { type: 'search', placeholder: 'Search text, fingerprint, database', 'aria-label': 'Search statements', value: query.get('q') ?? '', oninput: changed })
  const filter = h('select', { 'aria-label': 'Filter', onchange: changed },
    [['all', 'all'], ['changed', 'rewritten or steered'], ['cached', 'answered from the cache'], ['errors', 'with errors'], ['mispredicted', 'predicted badly (off by more than 2×)'], ['slow', 'slow (p95 above 100 ms)']]
      .map(([value, label]) => h('option', { value }, label)))
  filter.value = filters[query.get('show')] ? query.get('show') : 'all'
  const tally = h('span', { class: 'quiet', role: 'status' })
  let all = new Map(), rounds = 0
  const table = virtualTable({
    label: 'Statements', columns, sort, onsort: changed,
    href: (q) => '#/statements/' + q.fingerprint,
    onopen: (q) => (location.hash = '#/statements/' + q.fingerprint),
  })
  root.append(h('h1', {}, 'Statements'), h('div', { class: 'toolbar' }, search, filter, tally, h('span', { class: 'grow' }), csvButton('statements', exported, table.rows)), table.element)

  function changed() {
    const state = new URLSearchParams()
    if (search.value) state.set('q', search.value)
    if (filter.value !== 'all') state.set('show', filter.value)
    if (sort.by !== 'total_ms') state.set('sort', sort.by)
    if (!sort.down) state.set('up', '')
    history.replaceState(null, '', '#/statements' + (state.size ? '?' + state : ''))
    draw()
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
    const keep = filters[filter.value]
    const rows = [...all.values()].filter((q) => keep(q) && words.every((word) => q.searched.includes(word)))
    const sign = sort.down ? -1 : 1
    rows.sort((a, b) => {
      const x = a[sort.by], y = b[sort.by]
      return sign * (typeof x === 'string' ? x.localeCompare(y) : (x ?? 0) - (y ?? 0))
    })
    table.set(rows)
    tally.textContent = rows.length === all.size ? `${rows.length} statements` : `${rows.length} of ${all.size} statements`
  }

  const take = (rows) => rows.forEach((q) => {
    q.searched = (q.query + ' ' + q.fingerprint + ' ' + q.database + ' ' + q.action).toLowerCase()
    all.set(q.database + '/' + q.fingerprint, q)
  })
  return {
    // The top ones every time; all of them at first and then the less often the more there are.
    async update() {
      const every = all.size > 2000 ? 20 : all.size > FIRST ? 5 : 1
      const { rows } = await get('queries?limit=' + FIRST)
      take(rows)
      draw()
      if (rows.length < FIRST || rounds++ % every !== 0) return
      get('queries?limit=' + ALL).then((complete) => {
        all = new Map()
        take(complete.rows)
        draw()
      }, () => {})
    },
    dispose: () => table.dispose(),
  }
}
