import { Server } from "socket.io";
import tidegate = require("tidegate");

export async function start(): Promise<tidegate.Link> {
  return tidegate.attach(new Server(), { window: 65536 });
}
