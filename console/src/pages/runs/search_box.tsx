// Find runs by ID, error text, node or business key.
import { useEffect, useState } from "preact/hooks";
import { type Filters, SEARCHES, type SearchName, setFilters } from "./run_query";

const PAUSE_MS = 300;

/** The box; the list follows a moment after the last key. */
export function SearchBox({ filters }: { filters: Filters }) {
  const active = SEARCHES.find(({ name }) => filters[name])?.name ?? "id";
  const [kind, setKind] = useState<SearchName>(active);
  const [typed, setTyped] = useState(filters[active]);
  const current = filters[kind];
  useEffect(() => {
    // Spaces that are being typed are not in the address yet.
    if (typed.trim() !== current) setTyped(current);
  }, [current]);
  useEffect(() => {
    if (typed.trim() === current) return;
    const timer = setTimeout(() => setFilters({ [kind]: typed.trim() }), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const change = (name: SearchName) => {
    setFilters({ [kind]: "", [name]: typed.trim() });
    setKind(name);
  };
  const { label, placeholder } = SEARCHES.find(({ name }) => name === kind) ?? SEARCHES[0];
  return (
    <div class="search">
      <select aria-label="Search for" value={kind} onChange={(event) => change(event.currentTarget.value as SearchName)}>
        {SEARCHES.map((each) => (
          <option key={each.name} value={each.name}>
            {each.label}
          </option>
        ))}
      </select>
      <input type="search" aria-label={label} placeholder={placeholder} value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)} />
    </div>
  );
}
