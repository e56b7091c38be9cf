// Icons, drawn with strokes in a field of 24.
const PATHS = {
  keys: "M7.5 12a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM10.5 13 20 3.5M15.5 8l3.5 3.5",
  overview: "M4 20V10M10 20V4M16 20v-7M22 20H2",
  inspect: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM21 21l-5-5",
  token: "M4 7h16v10H4zM8 7v10M12 11h4",
  audit: "M6 3h9l4 4v14H6zM14 3v5h5M9 13h7M9 17h7",
  signature: "M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6zM9 12l2 2 4-4",
  catalogue: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  tenants: "M4 21V8l8-5 8 5v13M9 21v-6h6v6M4 21h16",
  routes: "M6 4v9a4 4 0 0 0 4 4h8M14 13l4 4-4 4M6 4l-2 3M6 4l2 3",
  settings: "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM12 2v4M12 18v4M2 12h4M18 12h4M5 5l3 3M16 16l3 3M5 19l3-3M16 8l3-3",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM21 21l-5-5",
  menu: "M4 6h16M4 12h16M4 18h16",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M5 19l1.5-1.5M17.5 6.5 19 5",
  moon: "M20 14a8 8 0 1 1-10-10 7 7 0 0 0 10 10Z",
  system: "M3 5h18v11H3zM8 20h8M12 16v4",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12l5 5 9-10",
  plus: "M12 5v14M5 12h14",
  out: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  down: "M12 4v12M7 11l5 5 5-5M5 20h14",
  rotate: "M20 12a8 8 0 1 1-2.5-5.8M20 3v5h-5",
  pause: "M8 5v14M16 5v14",
  play: "M7 4l12 8-12 8z",
  stop: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM6 6l12 12",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 7v5l3 2",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM4 21c1-5 4-6 8-6s7 1 8 6",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
} as const;

export type IconName = keyof typeof PATHS;

/** Says nothing to a screen reader: what it stands for has to be said beside it. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
