// The dashboard in a real browser against a live pgsteer: node dashboard.mjs <url> <pictures>. Prints "ok NAME" or "FAILED NAME: why".
import { createRequire } from 'node:module'
import { existsSync, mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'

const [url, pictures] = process.argv.slice(2)
const statementsWanted = Number(process.env.STATEMENTS ?? 0)
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync)
const axeFile = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
mkdirSync(pictures, { recursive: true })

let faults = 0
const check = (name, good, why = '') => {
  console.log(good ? `ok      ${name}` : `FAILED  ${name}: ${why}`)
  if (!good) faults++
}
const api = async (path) => (await fetch(url + '/api/v1/' + path)).json()
const busiest = (await api('queries?limit=50')).rows.find((q) => q.query.includes('orders'))

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true })
const page = await context.newPage()
let said = []
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()))
page.on('pageerror', (error) => said.push(String(error)))
page.on('request', (request) => !request.url().startsWith(url) && !request.url().startsWith('blob:') && !request.url().startsWith('data:') && said.push('foreign request ' + request.url()))

async function accessibility(name) {
  await page.evaluate(await (await import('node:fs/promises')).readFile(axeFile, 'utf8'))
  const result = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }))
  check(`${name}: axe-core finds nothing`, result.violations.length === 0,
    result.violations.map((v) => `${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`).join('\n        '))
}

// [path, what must be there once it is drawn]
const pages = {
  overview: ['#/overview', '.tile strong'],
  statements: ['#/statements', '.grid-body .grid-row'],
  statement: ['#/statements/' + busiest.fingerprint, '.sql pre'],
  cache: ['#/cache', '.tile strong'],
  experiments: ['#/experiments', 'h1'],
  models: ['#/models', 'section h2'],
  pools: ['#/pools', 'section table'],
  events: ['#/events', 'section table'],
  settings: ['#/settings', 'section table'],
}

for (const scheme of ['light', 'dark']) {
  await page.emulateMedia({ colorScheme: scheme })
  for (const [name, [path, there]] of Object.entries(pages)) {
    said = []
    await page.goto('about:blank')
    const started = performance.now()
    await page.goto(url + '/' + path, { waitUntil: 'domcontentloaded' })
    await page.locator(there).first().waitFor({ timeout: 20000 })
    const took = performance.now() - started
    if (scheme === 'light') check(`${name}: drawn in ${took.toFixed(0)} ms, wanted below ${limit()}`, took < limit(), '')
    await page.waitForTimeout(2500)
    await page.screenshot({ path: `${pictures}/${name}-${scheme}.png`, fullPage: name !== 'statements' })
    // The README's pictures are two of these.
    if (scheme === 'light') await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true, clip: { x: 0, y: 0, width: 1440, height: 1150 } })
    await accessibility(`${name}, ${scheme}`)
    check(`${name}, ${scheme}: nothing on the browser's console`, said.length === 0, said.join('; '))
  }
}
function limit() {
  return Number(process.env.LOAD_LIMIT_MS ?? 1000)
}
await page.emulateMedia({ colorScheme: 'light' })

// --- what people do ------------------------------------------------------------------------------------------------------
await page.goto(url + '/#/statements')
await page.locator('.grid-body .grid-row').first().waitFor()
if (statementsWanted) {
  await page.waitForFunction((n) => Number(document.querySelector('.toolbar [role=status]').textContent.split(' ')[0]) >= n, statementsWanted, { timeout: 20000 })
  check(`statements: all of ${statementsWanted} are there, few are drawn`, (await page.locator('.grid-body .grid-row').count()) < 100)
  const slowest = await page.evaluate(async () => {
    const view = document.querySelector('.grid-view'), times = []
    for (let i = 1; i <= 20; i++) {
      const at = performance.now()
      view.scrollTop = (view.scrollHeight * i) / 20
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
      times.push(performance.now() - at)
    }
    return times.sort((a, b) => a - b)[10]
  })
  check(`statements: a jump anywhere draws within 100 ms in the median (${slowest.toFixed(0)} ms)`, slowest < Number(process.env.SCROLL_LIMIT_MS ?? 100))
}
await page.keyboard.press('/')
await page.keyboard.type(busiest.fingerprint)
await page.waitForFunction(() => document.querySelector('.toolbar [role=status]').textContent.startsWith('1 '))
check('statements: / searches, by fingerprint one is left', true)
check('statements: the search is in the link', page.url().includes('q=' + busiest.fingerprint), page.url())
await page.locator('.grid-view').focus()
await page.keyboard.press('Enter')
await page.locator('.sql pre').waitFor()
check('statements: Enter opens its page', page.url().includes('#/statements/' + busiest.fingerprint), page.url())

const executions = page.locator('section.card', { hasText: 'Executions in this window' }).locator('tbody tr')
await executions.first().waitFor()
check('statement: executions with what was done and why', (await executions.first().innerText()).match(/sent|answered/) !== null, await executions.first().innerText())
await page.getByLabel('Time window').selectOption('15')
await page.waitForFunction(() => location.hash.includes('minutes=15'))
check('statement: the time window is in the link', true)

await page.getByRole('button', { name: 'Pin', exact: true }).click()
await page.getByRole('dialog').waitFor()
await accessibility('confirmation')
check('statement: a confirmation shows the console command', (await page.getByRole('dialog').innerText()).includes('PIN'))
await page.keyboard.press('Escape')
await page.waitForTimeout(200)
check('statement: Escape changes nothing', (await api('statements/' + busiest.fingerprint)).pinned === '')
await page.getByRole('button', { name: 'Pin', exact: true }).click()
await page.getByRole('dialog').getByRole('button', { name: 'Pin' }).click()
const pinnedTo = page.locator('section.card p', { hasText: /^Pinned to/ })
await pinnedTo.waitFor({ timeout: 10000 })
check('statement: pinned', (await api('statements/' + busiest.fingerprint)).pinned === 'as-is')
await page.getByRole('button', { name: 'Unpin' }).click()
await page.getByRole('dialog').getByRole('button', { name: 'Unpin' }).click()
await pinnedTo.waitFor({ state: 'detached', timeout: 10000 })
check('statement: unpinned', (await api('statements/' + busiest.fingerprint)).pinned === '')

await page.goto(url + '/#/overview')
await page.locator('.u-over').first().waitFor()
const [csv] = await Promise.all([page.waitForEvent('download'), page.locator('figure').first().getByRole('button', { name: 'CSV' }).click()])
check('overview: a chart as CSV', csv.suggestedFilename().endsWith('.csv'))
const [png] = await Promise.all([page.waitForEvent('download'), page.locator('figure').first().getByRole('button', { name: 'PNG' }).click()])
check('overview: a chart as PNG', png.suggestedFilename().endsWith('.png'))

// Live: a statement nobody has sent before is on the page within two seconds of the daemon knowing it.
await page.goto(url + '/#/events')
await page.locator('section table').first().waitFor()
await page.getByLabel('Mode for the whole process').selectOption('suggest')
await page.getByRole('dialog').getByRole('button', { name: 'Set mode suggest' }).click()
const before = performance.now()
await page.waitForFunction(() => document.querySelector('.strip').textContent.includes('mode suggest'), undefined, { timeout: 10000 })
check(`live: a changed mode is in the header after ${(performance.now() - before).toFixed(0)} ms`, performance.now() - before < Number(process.env.LIVE_LIMIT_MS ?? 2000))

await page.setViewportSize({ width: 720, height: 900 })
await page.goto(url + '/#/overview')
await page.waitForTimeout(1000)
check('narrow: nothing hangs over the edge', await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1))
await page.screenshot({ path: `${pictures}/overview-narrow.png` })

await browser.close()
process.exit(faults ? 1 : 0)
