// Elements without a framework: h('td', { class: 'right' }, 'text', otherElement).
export function h(tag, attributes, ...children) {
  const element = tag === 'svg' || tag === 'path' || tag === 'rect' ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'value') element.value = value
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

// Replaces the children only when `key` is another one than last time: a selection in an unchanged table stays.
export function fill(element, key, make) {
  const text = JSON.stringify(key)
  if (element.shownKey === text) return
  element.shownKey = text
  element.replaceChildren(...[make()].flat().filter(Boolean))
}

export function announce(text) {
  document.getElementById('live').textContent = text
}

export function download(name, type, content) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }))
  const link = h('a', { href: url, download: name })
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}

export function csv(columns, rows) {
  const cell = (value) => {
    let text = value === null || value === undefined ? '' : String(value)
    if (/^[=+@\t\r]|^-(?![\d.])/.test(text)) text = "'" + text // a spreadsheet would run it as a formula
    return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text
  }
  return [columns, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}
