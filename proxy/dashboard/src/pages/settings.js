import { show } from '../api.js'
import { confirmCommand } from '../dialog.js'
import { fill, h } from '../dom.js'
import { simpleTable } from '../table.js'

const auto = (rows) => Object.keys(rows[0] ?? {}).map((name) => ({ name, label: name.replaceAll('_', ' '), right: typeof rows[0][name] === 'number', code: ['key', 'value', 'match', 'actions'].includes(name) }))

export function settings(root) {
  let rows = []
  const search = h('input', { type: 'search', placeholder: 'Search settings', 'aria-label': 'Search settings', oninput: draw })
  const rules = h('section', { class: 'card' }), rewrites = h('section', { class: 'card' }), config = h('section', { class: 'card' })
  root.append(h('div', { class: 'toolbar' }, h('h1', {}, 'Settings'), search, h('span', { class: 'grow' }),
    h('button', { type: 'button', onclick: () => confirmCommand('Reload', 'Reads configuration and policies again: all or nothing.', 'RELOAD') }, 'Reload')), rules, config, rewrites)
  function draw() {
    const word = search.value.toLowerCase()
    const shown = rows.filter((row) => !word || Object.values(row).join(' ').toLowerCase().includes(word))
    fill(config, shown, () => [h('h2', {}, 'Configuration'), simpleTable('Configuration', auto(rows), shown)])
  }
  return {
    async update() {
      const [ruleRows, configRows, rewriteRows] = await Promise.all([show('rules'), show('config'), show('rewrites')])
      rows = configRows
      draw()
      fill(rules, ruleRows, () => [h('h2', {}, 'Policy rules, in order'), simpleTable('Rules', auto(ruleRows), ruleRows, 'No rule: the built-in default decides.')])
      fill(rewrites, rewriteRows, () => [h('h2', {}, 'Rewrite rules'), simpleTable('Rewrites', auto(rewriteRows), rewriteRows)])
    },
  }
}
