// The lines that a client is to send, and where: node SCRIPT URL TOKEN FILE [FORM]
import { readFileSync } from 'node:fs'

export const [url, token, file, form] = process.argv.slice(2)

// Each has time (RFC 3339), host, program, severity (as syslog counts) and message.
export const lines = JSON.parse(readFileSync(file, 'utf8'))

export const levels = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug']
