import { curlOf } from "./curl";

/** Calls that every page makes by itself: nobody wants them as commands. */
const around = /\/(session|changes|notifications|alerts\/changes)(\/|\?|$)/;
const most = 12;
const mostPages = 20;

/** By path, the page that was read last at the end: one that shows what was read before
 *  makes no call again. */
const commands = new Map<string, string[]>();

/** Remembers a call by which the page that is open read what it shows. */
export function noteRead(method: string, url: string, body?: unknown): void {
  if (around.test(url)) return;
  const path = window.location.pathname;
  const command = curlOf(method, url, body);
  const before = commands.get(path) ?? [];
  commands.delete(path);
  commands.set(path, [...before.filter((c) => c !== command), command].slice(-most));
  if (commands.size > mostPages) commands.delete(commands.keys().next().value!);
}

/** The calls that filled the page that is open, as commands for a shell, the newest last. */
export function readsOfPage(): string {
  return commands.get(window.location.pathname)?.join("\n") ?? "";
}
