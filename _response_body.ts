// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** What takes the place of a response's body. */
export interface ReplacementBody {
  /** The bytes. */
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Throws the reason for which the stream was ended early, if it was. */
  throwIfFailed: () => void;
}

/**
 * A response with another body. Everything else is that of the original; a clone
 * is a response of the same kind, whose body is a branch of the same stream.
 *
 * `text()` and its like reject with the reason for which the body was ended; by
 * itself, Chromium says only "Failed to fetch".
 */
export class ResponseWithBody extends Response {
  #original: Response;
  #body: ReplacementBody;

  /**
   * @param original The response to take everything else from.
   * @param body The body.
   * @param stream The stream to read, a branch of that of the body.
   */
  constructor(
    original: Response,
    body: ReplacementBody,
    stream: ReadableStream<Uint8Array<ArrayBuffer>> = body.stream,
  ) {
    super(stream, readInit(original));
    this.#original = original;
    this.#body = body;
  }

  override get url(): string {
    return this.#original.url;
  }

  override get redirected(): boolean {
    return this.#original.redirected;
  }

  override get type(): ResponseType {
    return this.#original.type;
  }

  override get status(): number {
    // the constructor of Node.js looks at it, too
    return #original in this ? this.#original.status : super.status;
  }

  override get statusText(): string {
    return this.#original.statusText;
  }

  override get headers(): Headers {
    return this.#original.headers;
  }

  override clone(): Response {
    const { body } = super.clone();
    return new ResponseWithBody(this.#original, this.#body, body!);
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return this.#explain(super.arrayBuffer());
  }

  override async blob(): Promise<Blob> {
    const blob = await this.#explain(super.blob());
    if (blob.type !== "") return blob;
    // Bun does not type it by the headers if the body is a stream
    return await new Response(blob, { headers: this.headers }).blob();
  }

  override bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#explain(super.bytes());
  }

  override formData(): Promise<FormData> {
    return this.#explain(super.formData());
  }

  // deno-lint-ignore no-explicit-any -- as in the platform's own type
  override json(): Promise<any> {
    return this.#explain(super.json());
  }

  override text(): Promise<string> {
    return this.#explain(super.text());
  }

  async #explain<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      this.#body.throwIfFailed();
      throw error;
    }
  }
}

/**
 * What a response is made with. Servers send more than a constructor takes: a
 * status such as 999, and a text that is not Latin-1.
 */
function readInit({ status, statusText, headers }: Response): ResponseInit {
  return {
    status: Math.min(status, 599),
    statusText: /[^\0-\xff]/.test(statusText) ? "" : statusText,
    headers,
  };
}

// a method that the platform lacks must not seem to be there
if (!("bytes" in Response.prototype)) {
  Reflect.deleteProperty(ResponseWithBody.prototype, "bytes");
}
