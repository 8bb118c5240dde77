import { curlOf } from "./curl";

/** Calls that every page makes by itself: nobody wants them as commands. */
const around = /\/(session|changes|notifications|alerts\/changes)(\/|\?|$)/;
const most = 12;

let path = "";
let commands: string[] = [];

/** Remembers a call by which the page that is open read what it shows. */
export function noteRead(method: string, url: string, body?: unknown): void {
  if (around.test(url)) return;
  if (window.location.pathname !== path) {
    path = window.location.pathname;
    commands = [];
  }
  const command = curlOf(method, url, body);
  commands = [...commands.filter((c) => c !== command), command].slice(-most);
}

/** The calls that filled the page that is open, as commands for a shell, the newest last. */
export function readsOfPage(): string {
  return window.location.pathname === path ? commands.join("\n") : "";
}
