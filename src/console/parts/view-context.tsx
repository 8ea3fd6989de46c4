// What every component may know of the page it stands on: the reader's time zone and the present moment.
import { createContext, useContext } from "hono/jsx";

export interface View {
  readonly zone: string;
  readonly nowMs: number;
}

export const ViewContext = createContext<View>({ zone: "UTC", nowMs: 0 });

export function useView(): View {
  return useContext(ViewContext);
}
