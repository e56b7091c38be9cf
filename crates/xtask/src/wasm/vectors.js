// Runs the file of test vectors that is posted to it, inside workerd.
import { runVectors } from "./keyward.js";

export default {
  async fetch(request) {
    try {
      return new Response(runVectors(await request.text()));
    } catch (error) {
      return new Response(`${error.code}: ${error.message}`, { status: 500 });
    }
  },
};
