import { show } from '../api.js'
import { confirmCommand } from '../dialog.js'
import { fill, h } from '../dom.js'
import { simpleTable } from '../table.js'

const auto = (rows, hidden = []) => Object.keys(rows[0] ?? {}).filter((name) => !hidden.includes(name)).map((name) => ({ name, label: name.replaceAll('_', ' '), right: typeof rows[0][name] === 'number' }))

// pgbouncer's columns that are 0 or empty everywhere say nothing.
const empty = (rows) => Object.keys(rows[0] ?? {}).filter((name) => !['cl_active', 'cl_waiting', 'sv_active', 'sv_idle', 'maxwait'].includes(name) && rows.every((row) => !row[name]))

export function pools(root) {
  const pool = h('section', { class: 'card' }), client = h('section', { class: 'card' }), database = h('section', { class: 'card' }), lane = h('section', { class: 'card' }), limit = h('section', { class: 'card' })
  root.append(h('div', { class: 'toolbar' }, h('h1', {}, 'Pools and clients'), h('span', { class: 'grow' }),
    h('button', { type: 'button', onclick: () => confirmCommand('Pause', 'Holds new statements until Resume.', 'PAUSE') }, 'Pause traffic'),
    h('button', { type: 'button', onclick: () => confirmCommand('Resume', 'Ends Pause.', 'RESUME') }, 'Resume')), pool, h('div', { class: 'two wide-left' }, lane, limit), client, database)
  return {
    async update() {
      const [pools, clients, databases, lanes, limits] = await Promise.all([show('pools'), show('clients', 500), show('databases'), show('lanes'), show('limits')])
      fill(pool, pools, () => [h('h2', {}, 'Pools'), simpleTable('Pools', auto(pools, empty(pools)), pools, 'No client is connected.')])
      fill(lane, lanes, () => [h('h2', {}, 'Lanes'), simpleTable('Lanes', auto(lanes), lanes, 'None: a policy rule with a lane makes one.')])
      fill(limit, limits, () => [h('h2', {}, 'Limits'), simpleTable('Limits', auto(limits), limits, 'Nothing has passed a limit.')])
      fill(database, databases, () => [h('h2', {}, 'Databases'), simpleTable('Databases', auto(databases), databases)])
      const shown = clients.map(({ ptr, link, type, wait, wait_us, close_needed, local_addr, local_port, tls, ...rest }) => rest)
      fill(client, shown.map(({ request_time, ...rest }) => rest), () => [h('h2', {}, 'Clients'), simpleTable('Clients', [...auto(shown),
        { label: 'Close', show: (c) => h('button', { type: 'button', class: 'danger', 'aria-label': `Close client ${c.id}`, onclick: () => confirmCommand('Close', `Closes the connection of ${c.user} from ${c.addr ?? ''}.`, 'KILL ' + c.id) }, 'Close') }], shown, 'No client is connected.')])
    },
  }
}
