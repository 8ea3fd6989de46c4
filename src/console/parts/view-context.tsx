// What every component may know of the page it stands on: the reader's time zone and the present moment.
import { createContext, useContext } from "hono/jsx";

export interface View {
  readonly zone: string;
  readonly nowMs: number;
  /** An administrator looks: links to pages that only administrators may open lead somewhere. */
  readonly administrator: boolean;
}

export const ViewContext = createContext<View>({ zone: "UTC", nowMs: 0, administrator: false });

export function useView(): View {
  return useContext(ViewContext);
}
