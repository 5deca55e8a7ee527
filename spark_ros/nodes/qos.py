"""The QoS profiles of the graph, once: a publisher and a subscriber that disagree on them never meet, silently."""

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy


def _profile(depth: int, reliability: QoSReliabilityPolicy, durability: QoSDurabilityPolicy) -> QoSProfile:
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


# What a subscriber to sensors asks for: best effort matches reliable and best-effort publishers alike, and Franka's
# broadcasters publish best effort.
SENSOR = _profile(5, QoSReliabilityPolicy.BEST_EFFORT, QoSDurabilityPolicy.VOLATILE)

# The policy interpolates joints at the frames' stamps: at 1 kHz, 50 states bridge the 20 ms it may be thinking.
JOINT_STREAM = _profile(50, QoSReliabilityPolicy.BEST_EFFORT, QoSDurabilityPolicy.VOLATILE)

# A camera frame is worth acting on only while it is the newest; two, since the last to arrive may be the older one.
NEWEST_FRAME = _profile(2, QoSReliabilityPolicy.BEST_EFFORT, QoSDurabilityPolicy.VOLATILE)

# What our own publishers offer; depth 10 holds a tenth of a second of a 100 Hz stream for a reader that lags.
STREAM = _profile(10, QoSReliabilityPolicy.RELIABLE, QoSDurabilityPolicy.VOLATILE)

# Action chunks and arm commands: an older one is void once a newer one exists.
NEWEST = _profile(1, QoSReliabilityPolicy.RELIABLE, QoSDurabilityPolicy.VOLATILE)

# Facts that hold until replaced (feature contract, gateway mode): whoever joins later still learns them.
LATCHED = _profile(1, QoSReliabilityPolicy.RELIABLE, QoSDurabilityPolicy.TRANSIENT_LOCAL)

# A recorder's subscriptions: best effort so that every publisher matches, deep so that a busy moment costs nothing. Not
# deeper: after a disk that stalled, what is seen next would be seconds old.
RECORDING = _profile(100, QoSReliabilityPolicy.BEST_EFFORT, QoSDurabilityPolicy.VOLATILE)
