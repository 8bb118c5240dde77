// winston with winston-loki, in JSON or as protobuf.
import { createRequire } from 'node:module'
import winston from 'winston'
import LokiTransport from 'winston-loki'
import { form, levels, lines, token, url } from './lines.mjs'

// Without it winston-loki would quietly send JSON.
if (form === 'protobuf') createRequire(import.meta.url)('snappy')

const transport = new LokiTransport({
  host: url,
  basicAuth: `kyra:${token}`,
  labels: { env: 'test' },
  json: form === 'json',
  format: winston.format.printf((info) => info.message),
  interval: 1,
  replaceTimestamp: false,
  onConnectionError: (err) => { throw err },
})
const logger = winston.createLogger({
  levels: Object.fromEntries(levels.map((name, i) => [name, i])),
  level: 'debug',
  transports: [transport],
})
for (const l of lines) {
  logger.log({ level: levels[l.severity], message: l.message, timestamp: l.time, labels: { host: l.host, app: l.program } })
}
logger.end()
await new Promise((resolve) => logger.on('finish', resolve))
await transport.flush()
process.exit(0)
