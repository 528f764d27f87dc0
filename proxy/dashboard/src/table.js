// Tables. `simpleTable` shows all of its rows; `virtualTable` only those in sight, so that ten thousand cost as much as forty.
import { csv, download, h } from './dom.js'

// columns: { name, label, right?, code?, show?(row) -> text or element, title? }
export function simpleTable(caption, columns, rows, empty = 'None.') {
  if (rows.length === 0) return h('p', { class: 'quiet' }, empty)
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', {},
      h('caption', { class: 'hidden-text' }, caption),
      h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col', class: c.right ? 'right' : '' }, c.label ?? c.name)))),
      h('tbody', {}, rows.map((row) => h('tr', {}, columns.map((c) => cell(c, row)))))))
}

function cell(column, row) {
  const value = column.show ? column.show(row) : row[column.name]
  const classes = [column.right && 'right', column.code && 'code', column.wide && 'wide'].filter(Boolean).join(' ')
  return h('td', { class: classes, title: column.title?.(row) }, value ?? '')
}

export function csvButton(name, columns, rows) {
  return h('button', {
    type: 'button',
    onclick: () => download(`pgsteer-${name}.csv`, 'text/csv', csv(columns.map((c) => c.name), rows().map((row) => columns.map((c) => row[c.name])))),
  }, 'CSV')
}

const ROW_HEIGHT = 36

// A grid of fixed row height. Arrow keys move, Enter opens, the headers sort.
export function virtualTable({ label, columns, sort, onsort, onopen, href }) {
  let rows = []
  let current = 0
  const body = h('div', { class: 'grid-body', role: 'rowgroup' })
  const spacer = h('div', { class: 'grid-space', role: 'presentation' })
  const header = h('div', { class: 'grid-row grid-head', role: 'row', 'aria-rowindex': 1 })
  const view = h('div', { class: 'grid-view', role: 'grid', 'aria-label': label, 'aria-rowcount': 1, 'aria-colcount': columns.length, tabindex: 0 },
    h('div', { role: 'rowgroup', class: 'grid-header' }, header), spacer, body)
  spacer.append()

  function drawHeader() {
    header.replaceChildren(...columns.map((c) =>
      h('div', { role: 'columnheader', class: 'grid-cell ' + (c.class ?? ''), 'aria-sort': sort.by === c.name ? (sort.down ? 'descending' : 'ascending') : 'none' },
        h('button', {
          type: 'button',
          tabindex: 0,
          onclick: () => {
            if (sort.by === c.name) sort.down = !sort.down
            else (sort.by = c.name), (sort.down = !c.text)
            drawHeader()
            onsort()
            header.children[columns.indexOf(c)].firstChild.focus()
          },
        }, c.label, sort.by === c.name ? (sort.down ? ' ↓' : ' ↑') : ''))))
  }

  function draw() {
    const first = Math.max(0, Math.floor(view.scrollTop / ROW_HEIGHT) - 5)
    const last = Math.min(rows.length, first + Math.ceil(view.clientHeight / ROW_HEIGHT) + 10)
    spacer.style.height = rows.length * ROW_HEIGHT + 'px'
    body.style.transform = `translateY(${first * ROW_HEIGHT}px)`
    body.replaceChildren(...rows.slice(first, last).map((row, offset) => {
      const index = first + offset
      return h('div', {
        class: 'grid-row' + (index === current ? ' current' : ''), role: 'row', id: 'grid-row-' + index, 'aria-rowindex': index + 2,
        'aria-selected': index === current ? 'true' : 'false',
        onclick: (event) => {
          current = index
          if (!event.target.closest('a')) onopen(row)
        },
      }, columns.map((c) => {
        const value = c.show ? c.show(row) : row[c.name]
        return h('div', { role: 'gridcell', class: 'grid-cell ' + (c.class ?? ''), title: c.title?.(row) },
          c.link ? h('a', { href: href(row), tabindex: -1 }, value) : value ?? '')
      }))
    }))
    if (rows.length) view.setAttribute('aria-activedescendant', 'grid-row-' + current)
    else view.removeAttribute('aria-activedescendant')
  }

  view.addEventListener('scroll', () => requestAnimationFrame(draw), { passive: true })
  view.addEventListener('keydown', (event) => {
    if (event.target !== view) return
    const page = Math.max(1, Math.floor(view.clientHeight / ROW_HEIGHT) - 2)
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length }[event.key]
    if (event.key === 'Enter' && rows[current]) onopen(rows[current])
    if (step === undefined) return
    event.preventDefault()
    current = Math.max(0, Math.min(rows.length - 1, current + step))
    const top = current * ROW_HEIGHT
    if (top < view.scrollTop) view.scrollTop = top
    else if (top + 2 * ROW_HEIGHT > view.scrollTop + view.clientHeight) view.scrollTop = top + 2 * ROW_HEIGHT - view.clientHeight
    draw()
  })
  const watcher = new ResizeObserver(draw)
  watcher.observe(view)
  drawHeader()
  return {
    element: view,
    set(next) {
      rows = next
      current = Math.min(current, Math.max(0, rows.length - 1))
      view.setAttribute('aria-rowcount', rows.length + 1)
      draw()
    },
    rows: () => rows,
    dispose: () => watcher.disconnect(),
  }
}
