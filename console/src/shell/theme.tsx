// Light or dark: as the system says, or as the user has chosen in this browser.
import { signal } from "@preact/signals";
import { Icon } from "../parts/icon";

const NAME = "orchestrator.theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const chosen = signal(localStorage.getItem(NAME) ?? "");

/** Show the page in the chosen theme. */
export function applyTheme(): void {
  document.documentElement.dataset.theme = chosen.value;
}

function isDark(): boolean {
  return chosen.value ? chosen.value === "dark" : system.matches;
}

/** The button that switches between light and dark. */
export function ThemeButton() {
  const dark = isDark();
  const toggle = () => {
    chosen.value = dark ? "light" : "dark";
    localStorage.setItem(NAME, chosen.value);
    applyTheme();
  };
  const label = dark ? "Use light colours" : "Use dark colours";
  return (
    <button type="button" class="quiet icon-only" onClick={toggle} aria-label={label} title={label}>
      <Icon name={dark ? "sun" : "moon"} />
    </button>
  );
}
