// Queries files of rows with DuckDB and compares with what was written into them.
//
//   npm ci && node check.mjs DIRECTORY
//
// DIRECTORY holds pairs NAME.parquet and NAME.jsonl, as the program
// backends/s3/internal/rows/sample writes them.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'

const dir = process.argv[2]
if (!dir) {
  console.error('usage: node check.mjs DIRECTORY')
  process.exit(2)
}
const db = await (await DuckDBInstance.create(':memory:')).connect()
// Nothing is fetched: what a query needs must be in the package.
await db.run("SET autoinstall_known_extensions = false; SET TimeZone = 'UTC'")

let passed = 0
let failed = 0
function check(what, got, want) {
  const same = (a, b) => a === b || (typeof a === 'number' && Math.abs(a - b) <= 1e-9 * Math.abs(b))
  if (Array.isArray(want) ? got.length === want.length && got.every((v, i) => same(v, want[i])) : same(got, want)) {
    passed++
  } else {
    failed++
    console.log(`FAIL: ${what}: got ${String(got).slice(0, 200)}, want ${String(want).slice(0, 200)}`)
  }
}
async function rows(sql) {
  return (await db.runAndReadAll(sql)).getRows()
}

// members reads the lines: numbers become BigInt, and texts what stands for them
// in the file: bytes that are no UTF-8 are replaced.
function members(path) {
  const lines = readFileSync(path, 'utf8').split('\n')
  lines.pop()
  return lines.map((line) => {
    const o = JSON.parse(line.replace(/:(-?\d+)/g, ':"#$1"')) // numbers are exact
    for (const [name, v] of Object.entries(o)) {
      if (v !== null) o[name] = v.startsWith('#') ? BigInt(v.slice(1)) : replaced(Buffer.from(v, 'base64'))
    }
    return o
  })
}

// replaced puts one U+FFFD in the place of every run of bytes that are no UTF-8.
function replaced(bytes) {
  let text = ''
  let gap = false
  for (let at = 0; at < bytes.length;) {
    const b = bytes[at]
    const n = b < 0x80 ? 1 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2
    let part
    try {
      part = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(at, at + n))
    } catch {
      if (!gap) text += '\ufffd'
      gap = true
      at++
      continue
    }
    gap = false
    text += part
    at += n
  }
  return text
}

const names = readdirSync(dir).filter((f) => f.endsWith('.parquet')).map((f) => f.slice(0, -'.parquet'.length))
if (names.length === 0) {
  console.error(`${dir} holds no files`)
  process.exit(1)
}
for (const name of names) {
  const file = `'${join(dir, name)}.parquet'`
  const want = members(join(dir, `${name}.jsonl`))
  const [[count]] = await rows(`SELECT count(*) FROM ${file}`)
  check(`${name}: rows`, Number(count), want.length)

  const types = Object.fromEntries((await rows(`DESCRIBE FROM ${file}`)).map(([column, type]) => [column, type]))
  const ints = ['step', 'trace_index']
  for (const [column, type] of Object.entries(types)) {
    const is = column === 'time' ? 'TIMESTAMP WITH TIME ZONE' : ints.includes(column) ? 'BIGINT' : column === 'exact' ? 'BLOB' : 'VARCHAR'
    check(`${name}: type of ${column}`, type, is)
    if (column === 'exact') continue
    const value = column === 'time' ? 'epoch_us(time)' : `"${column}"`
    const got = (await rows(`SELECT ${value} FROM ${file}`)).map(([v]) => v)
    check(`${name}: values of ${column}`, got, want.map((o) => o[column]))
  }
  if (want.length === 0) continue

  // A window in time, which the statistics of the row groups serve.
  const from = 1769860800000000n
  const inside = want.filter((o) => o.time !== null && o.time >= from && o.time < from + 1000000n).length
  const [[window]] = await rows(
    `SELECT count(*) FROM ${file} WHERE time >= TIMESTAMPTZ '2026-01-31 12:00:00+00' AND time < TIMESTAMPTZ '2026-01-31 12:00:01+00'`)
  check(`${name}: window in time`, Number(window), inside)
}

if (names.includes('metrics')) {
  const file = `'${join(dir, 'metrics.parquet')}'`
  const want = members(join(dir, 'metrics.jsonl')).filter((o) => o.step >= 100n && o.step < 30000n && o.metrics.includes('"loss"'))
  const [[n, sum]] = await rows(
    `SELECT count(*), sum((metrics->>'$.loss')::DOUBLE) FROM ${file} WHERE step BETWEEN 100 AND 29999 AND contains(metrics, '"loss"')`)
  check('metrics: losses', Number(n), want.length)
  check('metrics: sum of losses', sum, want.reduce((s, o) => s + JSON.parse(o.metrics).loss, 0))
}

console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
