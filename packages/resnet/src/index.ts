export { openClipResNet, openClipResNetIgnore, resNetConfigFromOpenClip } from "./checkpoint.ts";
export {
  AttentionPool,
  Bottleneck,
  ResNet,
  type ResNetConfig,
  RN50,
  RN50x4,
  RN50x16,
  RN50x64,
  RN101,
} from "./resnet.ts";
