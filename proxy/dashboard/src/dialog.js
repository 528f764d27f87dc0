import { announce, h } from './dom.js'
import { command } from './api.js'

// Asks before anything is changed, shows the console command that does it, runs it. Resolves to whether it was done.
export function confirmCommand(title, explanation, text) {
  return new Promise((resolve) => {
    const status = h('p', { class: 'error', role: 'alert' })
    const run = h('button', { type: 'submit', class: 'primary' }, title)
    let done = false
    const dialog = h('dialog', { 'aria-labelledby': 'confirm-title' },
      h('form', {
        onsubmit: async (event) => {
          event.preventDefault()
          run.disabled = true
          try {
            await command(text)
            done = true
            announce(title + ': done')
            dialog.close()
          } catch (error) {
            status.textContent = error.message
            run.disabled = false
          }
        },
      },
      h('h2', { id: 'confirm-title' }, title),
      h('p', {}, explanation),
      h('p', {}, 'On the console: ', h('code', {}, text)),
      status,
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'), run)))
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(done)
    })
    document.body.append(dialog)
    dialog.showModal()
    run.focus()
  })
}
