// Everything the page asks the daemon. A token, when one is needed, lives in this tab only.
import { h } from './dom.js'

const token = () => sessionStorage.getItem('pgsteer-token')
export class ApiError extends Error {}

async function send(path, options = {}) {
  const headers = { ...options.headers }
  if (token()) headers.Authorization = 'Bearer ' + token()
  let response
  try {
    response = await fetch(path, { ...options, headers, cache: 'no-store' })
  } catch {
    throw new ApiError('pgsteer does not answer')
  }
  if (response.status === 401) {
    await askToken()
    return send(path, options)
  }
  const body = await response.json().catch(() => ({}))
  if (!response.ok) {
    const { message = 'status ' + response.status, hint } = body.error ?? {}
    throw Object.assign(new ApiError(hint ? `${message}. ${hint}` : message), { status: response.status })
  }
  return body
}

export const get = (path, signal) => send('/api/v1/' + path, { signal })
export const rows = async (path) => (await get(path)).rows
export const show = (name, limit = 1000) => rows(`show/${name}?limit=${limit}`)
export const command = (text) =>
  send('/api/v1/command', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Pgsteer': '1' },
    body: JSON.stringify({ command: text }),
  })

// The last quarter of an hour, as columns.
export async function trend(seconds = 900, step = 5) {
  const { points } = await get(`trend?seconds=${seconds}&step=${step}`)
  const column = (name) => points.map((point) => point[name])
  return { at: points.map((point) => point.unix_ms / 1000), column, points }
}

// One word of a console command.
export const quoted = (text) => "'" + String(text).replaceAll("'", "''") + "'"

let asking
function askToken() {
  asking ??= new Promise((resolve) => {
    const input = h('input', { type: 'password', autocomplete: 'off', required: true, id: 'token' })
    const dialog = h('dialog', { 'aria-labelledby': 'token-title' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'token-title' }, 'Token'),
        h('label', { for: 'token' }, 'The content of http.token_file'),
        input,
        h('div', { class: 'buttons' }, h('button', { class: 'primary' }, 'Use it'))))
    dialog.addEventListener('close', () => {
      sessionStorage.setItem('pgsteer-token', input.value)
      dialog.remove()
      asking = undefined
      resolve()
    })
    document.body.append(dialog)
    dialog.showModal()
  })
  return asking
}
