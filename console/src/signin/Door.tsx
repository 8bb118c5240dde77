import { useEffect, type ReactNode } from "react";

import { languages, setLanguage, useLanguage, type Language } from "~/text/text";

import css from "./signin.module.css";

/** The page before the console: one card, and the language. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  const language = useLanguage();
  useEffect(() => {
    document.title = `${title} · KYRA`;
  }, [title]);
  return (
    <main className={css.door}>
      <div className={css.card}>
        <div className={css.brand}>
          <img src="/icon.svg" width="32" height="32" alt="" />
          <h1>{title}</h1>
        </div>
        {children}
      </div>
      <div className={css.languages}>
        {(Object.keys(languages) as Language[]).map((one) => (
          <button key={one} type="button" lang={one} aria-pressed={one === language} onClick={() => void setLanguage(one)}>
            {languages[one]}
          </button>
        ))}
      </div>
    </main>
  );
}
