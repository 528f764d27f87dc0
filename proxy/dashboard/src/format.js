export function ms(value) {
  if (value === null || value === undefined || !isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size === 0) return '0 ms'
  if (size < 0.1) return (value * 1000).toFixed(0) + ' µs'
  if (size < 10) return value.toFixed(2) + ' ms'
  if (size < 1000) return value.toFixed(0) + ' ms'
  if (size < 60000) return (value / 1000).toFixed(1) + ' s'
  if (size < 3600000) return (value / 60000).toFixed(1) + ' min'
  return (value / 3600000).toFixed(1) + ' h'
}

export function count(value) {
  if (value === null || value === undefined) return '–'
  const size = Math.abs(value)
  if (size >= 1e9) return (value / 1e9).toFixed(1) + ' G'
  if (size >= 1e6) return (value / 1e6).toFixed(1) + ' M'
  if (size >= 1e4) return (value / 1e3).toFixed(1) + ' k'
  return Number.isInteger(value) ? String(value) : value.toFixed(size < 10 ? 1 : 0)
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  let unit = 0
  while (value >= 1024 && unit < 3) (value /= 1024), unit++
  return (unit ? value.toFixed(1) : value) + ' ' + units[unit]
}

export const percent = (part, whole) => (whole > 0 ? ((100 * part) / whole).toFixed(1) + ' %' : '–')
export const factor = (value) => (value > 0 && isFinite(value) ? value.toFixed(2) + '×' : '–')

export function time(unixMs, withDay) {
  const date = new Date(unixMs)
  const text = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
  return withDay || Date.now() - unixMs > 86400000 ? date.toLocaleDateString() + ' ' + text : text
}
// For a tooltip beside a local time.
export const utc = (unixMs) => new Date(unixMs).toISOString().replace('T', ' ').replace('.000Z', ' UTC').replace('Z', ' UTC')
// "2026-11-21 08:14:43.123+00" of the console
export const parseTime = (text) => Date.parse(String(text).replace(' ', 'T').replace(/\+00$/, 'Z'))
