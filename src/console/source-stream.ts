// A kept message as it is downloaded: piece by piece, so that a large one is never in memory whole.

/** The octets of the message. The stream breaks when they cannot be read. */
export function sourceStream(pieces: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}
