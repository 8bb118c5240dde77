// Splunk's own logging library, in batches.
import splunk from 'splunk-logging'
import { levels, lines, token, url } from './lines.mjs'

const logger = new splunk.Logger({ url, token, maxBatchCount: 0, batchInterval: 0, maxBatchSize: 0 })
logger.error = (err) => { throw err }
const flush = () => new Promise((resolve, reject) => {
  logger.flush((err, response, body) => (err || body.code !== 0 ? reject(err ?? new Error(JSON.stringify(body))) : resolve()))
})
for (const [i, l] of lines.entries()) {
  logger.send({
    message: l.message,
    severity: levels[l.severity],
    metadata: { time: Date.parse(l.time), host: l.host, source: l.program, sourcetype: l.program },
  })
  if (i % 1000 === 999 || i === lines.length - 1) await flush()
}
