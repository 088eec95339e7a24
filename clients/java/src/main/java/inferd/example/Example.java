package inferd.example;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import inference.GRPCInferenceServiceGrpc;
import inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import inference.GrpcService.ModelInferRequest;
import inference.GrpcService.ModelInferRequest.InferInputTensor;
import inference.GrpcService.ModelInferRequest.InferRequestedOutputTensor;
import inference.GrpcService.ModelInferResponse;
import inference.GrpcService.ModelReadyRequest;
import inference.GrpcService.ServerReadyRequest;
import io.grpc.Channel;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Asks an inferd server to read a handwritten digit, is refused for a wrong request and told
 * why, and gives up on a call. Arguments: the server's address and, if not `digits`, the model
 * whose call it gives up on: one that takes the same tensors and keeps its callers waiting.
 */
public final class Example {
  private static final String MODEL = "digits";

  /** The server schedules by it: a call that cannot be answered in time is refused at once. */
  private static final long TIMEOUT_MS = 2000;

  /** The first calls have to wait for a connection. */
  private static final long FIRST_TIMEOUT_MS = 10_000;

  /** How long a caller waits who may lose interest before the deadline. */
  private static final long PATIENCE_MS = 250;

  /** A zero, eight pixels by eight, from 0 (white) to 16. */
  private static final float[] ZERO = {
    0, 0, 5, 13, 9, 1, 0, 0,
    0, 0, 13, 15, 10, 15, 5, 0,
    0, 3, 15, 2, 0, 11, 8, 0,
    0, 4, 12, 0, 0, 8, 8, 0,
    0, 5, 8, 0, 0, 9, 8, 0,
    0, 4, 11, 0, 1, 12, 7, 0,
    0, 2, 14, 5, 10, 12, 0, 0,
    0, 0, 6, 13, 10, 0, 0, 0,
  };

  private final Channel channel;

  private Example(Channel channel) {
    this.channel = channel;
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments.length == 0) {
      System.err.println("usage: Example ADDRESS [MODEL TO GIVE UP ON]");
      System.exit(2);
    }
    ManagedChannel channel =
        Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
    try {
      Example example = new Example(channel);
      example.checkReady();
      example.readDigit();
      example.beRefused();
      example.giveUp(arguments.length > 1 ? arguments[1] : MODEL);
    } finally {
      channel.shutdown().awaitTermination(TIMEOUT_MS, TimeUnit.MILLISECONDS);
    }
  }

  private void checkReady() {
    GRPCInferenceServiceBlockingStub stub = stub(FIRST_TIMEOUT_MS);
    boolean server = stub.serverReady(ServerReadyRequest.getDefaultInstance()).getReady();
    ModelReadyRequest request = ModelReadyRequest.newBuilder().setName(MODEL).build();
    if (!server || !stub.modelReady(request).getReady()) {
      throw new IllegalStateException("the server is there, but `digits` is not ready");
    }
    System.out.println("ready");
  }

  private void readDigit() {
    ModelInferResponse answer = stub(TIMEOUT_MS).modelInfer(request(MODEL, ZERO, ZERO.length));
    ByteBuffer label = answer.getRawOutputContents(0).asReadOnlyByteBuffer();
    long digit = label.order(ByteOrder.LITTLE_ENDIAN).getLong();
    System.out.printf("it is a %d, says version %s%n", digit, answer.getModelVersion());
  }

  /** Sends an image that is a pixel short. The server names each field that is wrong. */
  private void beRefused() throws InvalidProtocolBufferException {
    try {
      stub(TIMEOUT_MS).modelInfer(request(MODEL, ZERO, ZERO.length - 1));
    } catch (StatusRuntimeException refused) {
      if (refused.getStatus().getCode() != Status.Code.INVALID_ARGUMENT) {
        throw refused;
      }
      for (Any detail : StatusProto.fromThrowable(refused).getDetailsList()) {
        if (detail.is(BadRequest.class)) {
          detail.unpack(BadRequest.class).getFieldViolationsList().forEach(Example::print);
        }
      }
      return;
    }
    throw new IllegalStateException("expected to be refused");
  }

  private static void print(BadRequest.FieldViolation wrong) {
    System.out.printf("refused: %s: %s%n", wrong.getField(), wrong.getDescription());
  }

  /** Cancels a call that takes too long. The server forgets it, too. */
  private void giveUp(String model) throws ExecutionException, InterruptedException {
    Future<ModelInferResponse> call =
        GRPCInferenceServiceGrpc.newFutureStub(channel)
            .withDeadlineAfter(1, TimeUnit.MINUTES)
            .modelInfer(request(model, ZERO, ZERO.length));
    try {
      call.get(PATIENCE_MS, TimeUnit.MILLISECONDS);
      System.out.printf("%s was faster than our patience%n", model);
    } catch (TimeoutException impatience) {
      call.cancel(true);
      System.out.printf("gave up on %s%n", model);
    }
  }

  /** A stub whose calls are due so long from now: not one to keep. */
  private GRPCInferenceServiceBlockingStub stub(long timeoutMs) {
    return GRPCInferenceServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(timeoutMs, TimeUnit.MILLISECONDS);
  }

  /** Asks which digit a picture shows. Raw contents are little-endian and row by row. */
  private static ModelInferRequest request(String model, float[] picture, int pixels) {
    ByteBuffer raw = ByteBuffer.allocate(Float.BYTES * pixels).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(picture, 0, pixels);
    return ModelInferRequest.newBuilder()
        .setModelName(model)
        .addInputs(
            InferInputTensor.newBuilder()
                .setName("pixels")
                .setDatatype("FP32")
                .addShape(1)
                .addShape(pixels))
        .addOutputs(InferRequestedOutputTensor.newBuilder().setName("label"))
        .addRawInputContents(ByteString.copyFrom(raw))
        .build();
  }
}
