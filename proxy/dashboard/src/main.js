// The frame: header, navigation, which page is shown, and the clock that keeps it live.
import { show } from './api.js'
import { confirmCommand } from './dialog.js'
import { fill, h } from './dom.js'
import { overview } from './pages/overview.js'
import { statements } from './pages/statements.js'
import { statement } from './pages/statement.js'
import { cache } from './pages/cache.js'
import { experiments } from './pages/experiments.js'
import { models } from './pages/models.js'
import { pools } from './pages/pools.js'
import { events } from './pages/events.js'
import { settings } from './pages/settings.js'

const PERIOD_MS = 1500
const pages = [
  ['overview', 'Overview', overview],
  ['statements', 'Statements', statements],
  ['cache', 'Cache', cache],
  ['experiments', 'Experiments', experiments],
  ['models', 'Models', models],
  ['pools', 'Pools', pools],
  ['events', 'Events', events],
  ['settings', 'Settings', settings],
]

const main = document.getElementById('main')
const top = document.getElementById('top')
let page, paused = false, showing = ''

function parseHash() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const [name, argument] = path.split('/')
  return { name: name || 'overview', argument: argument && decodeURIComponent(argument), query: new URLSearchParams(query) }
}

// --- header ------------------------------------------------------------------------------------------------------------
const links = pages.map(([name, label]) => h('a', { href: '#/' + name }, label))
const strip = h('div', { class: 'strip' })
const pause = h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
  paused = !paused
  pause.setAttribute('aria-pressed', String(paused))
  pause.textContent = paused ? 'Resume' : 'Pause'
} }, 'Pause')
const theme = h('button', { type: 'button', 'aria-label': 'Light or dark', title: 'Light or dark', onclick: () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.includes('dark') && document.documentElement.dataset.theme !== 'light'
  setTheme(dark && (document.documentElement.dataset.theme === 'dark' || matchMedia('(prefers-color-scheme: dark)').matches) ? 'light' : 'dark')
} }, '◐')
function setTheme(name) {
  document.documentElement.dataset.theme = name
  localStorage.setItem('pgsteer-theme', name)
}
if (localStorage.getItem('pgsteer-theme')) setTheme(localStorage.getItem('pgsteer-theme'))
top.append(h('div', { class: 'bar' }, h('a', { class: 'brand', href: '#/overview' }, 'pgsteer'), h('nav', { 'aria-label': 'Pages' }, links),
  h('div', { class: 'tools' }, pause, theme)), strip)

async function drawStrip() {
  const [state, health] = await Promise.all([show('state'), show('health')])
  const value = (key) => state.find((row) => row.key === key)?.value
  const bad = health.filter((row) => !['ok', 'off', 'none yet', 'working'].includes(row.status))
  const mode = value('mode_limit') === 'none' ? value('mode_default') : value('mode_limit')
  fill(strip, [mode, value('mode_limit'), value('panic'), value('paused'), bad], () => [
    h('span', { class: 'badge' }, 'mode ', h('strong', {}, mode), value('mode_limit') === 'none' ? ' (policies decide)' : ' (set on the console)'),
    value('panic') === 'yes' && h('span', { class: 'badge bad' }, 'PANIC: everything is relayed as it is'),
    value('paused') === 'yes' && h('span', { class: 'badge bad' }, 'paused'),
    bad.length ? h('a', { class: 'badge bad', href: '#/overview' }, bad.map((row) => `${row.check}: ${row.status}`).join(', '))
      : h('span', { class: 'badge good' }, 'healthy'),
    h('span', { class: 'grow' }),
    h('label', {}, 'Mode ', h('select', { 'aria-label': 'Mode for the whole process', onchange: async (event) => {
      const mode = event.target.value
      event.target.value = ''
      if (mode && await confirmCommand(`Set mode ${mode}`, mode === 'default' ? 'The policies decide again.' : 'For all databases, in place of what the policies say; what a rule has off stays off.', `SET MODE ${mode}`)) drawStrip()
    } }, h('option', { value: '' }, 'change'), ['off', 'observe', 'suggest', 'canary', 'auto', 'default'].map((m) => h('option', { value: m }, m)))),
    value('panic') === 'yes'
      ? h('button', { type: 'button', onclick: async () => { await confirmCommand('End panic', 'pgsteer works again as the policies say.', 'PANIC OFF'); drawStrip() } }, 'End panic')
      : h('button', { type: 'button', class: 'danger', onclick: async () => { await confirmCommand('Panic', 'Everything becomes a byte relay, at once. No connection is lost.', 'PANIC'); drawStrip() } }, 'Panic'),
  ])
}

// --- pages -------------------------------------------------------------------------------------------------------------
function failure(error) {
  const old = document.querySelector('.offline')
  if (!error) return old?.remove()
  if (old) old.textContent = error.message
  else main.before(h('p', { class: 'offline error', role: 'alert' }, error.message))
}

async function open() {
  const { name, argument, query } = parseHash()
  const entry = pages.find(([known]) => known === name) ?? pages[0]
  links.forEach((link, i) => (pages[i] === entry ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current')))
  const make = entry[0] === 'statements' && argument ? statement : entry[2]
  const wanted = entry[0] + '/' + (argument ?? '')
  if (wanted === showing && page?.navigate) return page.navigate(query)
  page?.dispose?.()
  const first = showing === ''
  showing = wanted
  main.replaceChildren()
  document.title = (argument ? argument + ' · ' : '') + entry[1] + ' · pgsteer'
  page = make(main, { argument, query })
  if (!first) main.focus({ preventScroll: true })
  scrollTo(0, 0)
  await tick()
}

let ticking = false
async function tick() {
  if (ticking) return
  ticking = true
  const mine = page
  try {
    await Promise.all([mine.update(), drawStrip()])
    failure(null)
  } catch (error) {
    if (mine === page) failure(error)
  }
  ticking = false
  if (mine !== page) await tick()
}

addEventListener('hashchange', open)
setInterval(() => {
  if (!paused && !document.hidden) tick()
}, PERIOD_MS)
document.addEventListener('keydown', (event) => {
  if (event.target.closest('input, select, textarea, dialog') || event.ctrlKey || event.metaKey || event.altKey) return
  const digit = Number(event.key)
  if (digit >= 1 && digit <= pages.length) location.hash = '#/' + pages[digit - 1][0]
  if (event.key === '/') {
    const search = document.querySelector('input[type=search]')
    if (search) search.focus(), event.preventDefault()
    else location.hash = '#/statements'
  }
})
open()
