// OpenTelemetry's SDK with one of its three exporters of logs.
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { OTLPLogExporter as HTTP } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as Proto } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPLogExporter as GRPC } from '@opentelemetry/exporter-logs-otlp-grpc'
import { Metadata } from '@grpc/grpc-js'
import { form, levels, lines, token, url } from './lines.mjs'

const headers = { Authorization: `Bearer ${token}` }
const metadata = new Metadata()
metadata.set('authorization', headers.Authorization)
const exporter = {
  http: () => new HTTP({ url: `${url}/v1/logs`, headers }),
  proto: () => new Proto({ url: `${url}/v1/logs`, headers, compression: 'gzip' }),
  grpc: () => new GRPC({ url, metadata }),
}[form]()

// OpenTelemetry's numbers for the severities of syslog.
const numbers = [21, 19, 18, 17, 13, 10, 9, 5]
const { host, program } = lines[0]
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ 'host.name': host, 'service.name': program }),
  processors: [new BatchLogRecordProcessor({ exporter, maxQueueSize: 2 * lines.length, maxExportBatchSize: 1000 })],
})
const logger = provider.getLogger('shop')
for (const l of lines) {
  const timestamp = new Date(l.time)
  logger.emit({ timestamp, observedTimestamp: timestamp, severityNumber: numbers[l.severity], severityText: levels[l.severity], body: l.message })
}
await provider.forceFlush()
await provider.shutdown()
