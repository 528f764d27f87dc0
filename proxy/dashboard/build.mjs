// node build.mjs <node_modules> <output>: bundles src/ with esbuild and writes assets.S, which holds the result.
import { createRequire } from 'node:module'
import { mkdirSync, readFileSync, writeFileSync, copyFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const [modules, output] = process.argv.slice(2).map((path) => resolve(path))
const source = join(dirname(fileURLToPath(import.meta.url)), 'src')
const esbuild = createRequire(join(modules, 'x.js'))(join(modules, 'esbuild'))

mkdirSync(output, { recursive: true })
await esbuild.build({
  entryPoints: { app: join(source, 'main.js'), style: join(source, 'style.css') },
  outdir: output,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  legalComments: 'inline',
  nodePaths: [modules],
  logLevel: 'warning',
})
copyFileSync(join(source, 'index.html'), join(output, 'index.html'))

const section = (name, file) =>
  `  .globl pgsteer_${name}_begin\n  .globl pgsteer_${name}_end\npgsteer_${name}_begin:\n  .incbin "${join(output, file)}"\npgsteer_${name}_end:\n  .byte 0\n`
writeFileSync(
  join(output, 'assets.S'),
  '  .section .rodata\n' + section('page', 'index.html') + section('script', 'app.js') + section('style', 'style.css') +
    '  .section .note.GNU-stack,"",%progbits\n',
)
const size = ['index.html', 'app.js', 'style.css'].map((file) => readFileSync(join(output, file)).length)
console.log(`dashboard: ${size.reduce((a, b) => a + b)} bytes`)
