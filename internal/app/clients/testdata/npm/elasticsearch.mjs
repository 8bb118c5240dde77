// The official client's bulk helper, documents as ECS loggers write them.
import { Client } from '@elastic/elasticsearch'
import { levels, lines, token, url } from './lines.mjs'

const client = new Client({ node: url, auth: { apiKey: token } })
const done = await client.helpers.bulk({
  datasource: lines,
  flushBytes: 256 * 1024,
  onDocument: (l) => [
    { create: { _index: 'logs-app-default' } },
    {
      '@timestamp': l.time,
      'log.level': levels[l.severity],
      message: l.message,
      host: { name: l.host },
      process: { name: l.program },
    },
  ],
  onDrop: (d) => { throw new Error(JSON.stringify(d)) },
})
if (done.successful !== lines.length) throw new Error(JSON.stringify(done))
