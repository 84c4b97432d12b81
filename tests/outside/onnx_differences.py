"""What ``minicnn.onnx.load`` does not read of ONNX's own cases, and why.

A line is "operator (case): not read: the reader's reason"; a result that is wrong is none of these.
"""

from __future__ import annotations

from .tally import Difference


def absent(operators: str, cases: int, reason: str) -> Difference:
    """Operators that the engine does not have."""
    names = "|".join(operators.split())
    return Difference(rf"^({names}) \(\w+\): not read: .*no such operator$", cases, reason)


DIFFERENCES = [
    Difference(
        r": not read: no input, or sequences, optionals or sparse tensors$",
        31,
        "A net takes a tensor.",
    ),
    Difference(
        r"^\w+ \(\w+_expanded(_ver\d+)?\): not read: ",
        472,
        "An operator written out in smaller ones, which compute with several results: a net is a "
        "chain of layers.",
    ),
    # operators that a chain of our layers has, otherwise used
    Difference(
        r": not read: \w+ '': its input has \d axes; wanted \(N, C, H, W\)$",
        40,
        "Convolution, pooling and batch normalisation are those of pictures; for 1-D and 3-D data "
        "the engine has none.",
    ),
    Difference(
        r"^(Add|Constant) .* wanted a constant added to a dense layer or convolution",
        18,
        "A sum is the bias of the dense layer or convolution before it.",
    ),
    Difference(
        r"^Mul .* wanted an average pooling multiplied by a number$",
        9,
        "A product is an average pooling's divisor_override.",
    ),
    Difference(
        r"^(AveragePool|MaxPool) .* (padding \(2, 2\) is over half|its padding makes windows)",
        7,
        "A pooling's padding is the same on both sides, and at most half the kernel, as PyTorch's.",
    ),
    Difference(
        r"^AveragePool .* dilations are \(2, 2\)",
        1,
        "An average pooling has no dilation, as PyTorch's.",
    ),
    Difference(
        r"^(MaxPool|Dropout|BatchNormalization) .*outputs \[.*\]; wanted one",
        9,
        "A layer has one result: no places of the largest values, no mask, no statistics.",
    ),
    Difference(
        r"^Dropout .* training_mode is true",
        3,
        "A file for training: its result is drawn by chance.",
    ),
    Difference(
        r"^MaxPool \(test_maxpool_2d_uint8\): not computed: .*input is uint8",
        1,
        "Layers take float32 and float64 only: pixels that were not converted are a mistake.",
    ),
    Difference(
        r"^Flatten .*(axis is -?\d; wanted 1|has no axes from)",
        7,
        "Flatten makes one axis of all but the batch's.",
    ),
    Difference(
        r"^Gemm .*(transA is 1|it adds \(3, 4\)|it joins several)",
        4,
        "A dense layer multiplies its input, not transposed, with a constant, and adds a number to "
        "each feature.",
    ),
    Difference(
        r"^MatMul .* wanted x @ a constant matrix",
        6,
        "A product with a matrix is a dense layer without a bias; it has one matrix.",
    ),
    Difference(
        r"^Pad .*frames with other than zeros",
        10,
        "A frame is of zeros (nn.ZeroPad2d), or of -inf for a max pooling.",
    ),
    Difference(
        r"^ReduceMean .*it averages over the axes",
        10,
        "A mean is that of height and width: an average pooling over the whole picture.",
    ),
    Difference(
        r"^(Reshape|Constant) .*minicnn's layers flatten only",
        5,
        "Layers flatten; the input alone is reshaped freely, and only to pictures.",
    ),
    Difference(
        r"^Transpose .* wanted a transposition of pictures, of named axes$",
        1,
        "A transposition names its axes.",
    ),
    Difference(
        r"^Shape .*outputs \['y'\]; wanted one, the end of a chain$",
        11,
        "A shape is no net's result.",
    ),
    # operators that the engine does not have
    absent(
        "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu "
        "HardSigmoid HardSwish IsInf IsNaN LeakyRelu Log Mish Neg PRelu Reciprocal Round Selu "
        "Shrink Sign Sin Sinh Softplus Softsign Sqrt SwiGLU Swish Tan ThresholdedRelu",
        113,
        "Functions of each cell: the layers are Relu, Sigmoid and Tanh.",
    ),
    absent(
        "Add And BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Constant Div Equal Greater "
        "GreaterOrEqual Less LessOrEqual Max Mean Min Mod Not Or Pow Sub Sum Where Xor",
        205,
        "Arithmetic, comparison and logic between tensors: a net is a chain of layers.",
    ),
    absent(
        "ArgMax ArgMin CumProd CumSum Det Einsum Hardmax LpNormalization ReduceL1 ReduceL2 "
        "ReduceLogSum ReduceLogSumExp ReduceMax ReduceMin ReduceProd ReduceSum ReduceSumSquare "
        "TopK Unique",
        173,
        "Reductions, sorting and linear algebra, which no layer does.",
    ),
    absent(
        "ArrayFeatureExtractor CenterCropPad Compress Concat ConstantOfShape DepthToSpace Expand "
        "EyeLike Gather GatherElements GatherND NonZero OneHot Range ReverseSequence Scatter "
        "ScatterElements ScatterND Size Slice SpaceToDepth Split TensorScatter Tile Trilu "
        "Unsqueeze",
        147,
        "Cells taken, placed, repeated or counted: the layers have Flatten and ZeroPad2d.",
    ),
    absent(
        "BitCast Cast CastLike ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger "
        "QLinearConv QLinearMatMul QuantizeLinear",
        168,
        "Conversions and quantised numbers: a net computes in float32 or float64.",
    ),
    absent(
        "AffineGrid CausalConvWithState Col2Im ConvTranspose DeformConv GridSample ImageDecoder "
        "LpPool MaxUnpool NonMaxSuppression Resize RoiAlign Upsample",
        130,
        "Other convolutions, poolings and samplings of pictures.",
    ),
    absent(
        "GroupNormalization InstanceNormalization LRN LayerNormalization "
        "MeanVarianceNormalization RMSNormalization",
        46,
        "Other normalisations than that of a batch.",
    ),
    absent(
        "Attention FlexAttention GRU LSTM LinearAttention RNN RotaryEmbedding",
        144,
        "Recurrent nets and attention.",
    ),
    absent(
        "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
        19,
        "Signals and their spectra.",
    ),
    absent(
        "Adagrad Adam Bernoulli Momentum NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
        62,
        "Training and chance: a file is read for inference.",
    ),
    absent(
        "If Loop OptionalGetElement OptionalHasElement Scan SequenceConstruct SequenceEmpty "
        "SplitToSequence",
        18,
        "Control flow, sequences and optional values.",
    ),
    absent(
        "Binarizer LabelEncoder RegexFullMatch StringConcat StringNormalizer StringSplit "
        "TfIdfVectorizer TreeEnsemble",
        40,
        "Texts, and models that are no nets.",
    ),
]
