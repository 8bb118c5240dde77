import{d as e}from"./text-tE-YY-4a.js";var t=[`failing`,`blind`,`noisy`,`neverFired`,`ok`],n=[`ACTIVE`,`INACTIVE`,`DRAFT`],r=[`critical`,`high`,`medium`,`low`,`info`],i={failing:`bad`,blind:`bad`,noisy:`warn`,neverFired:`todo`,ok:`good`};async function a(t,n,r){let i=await fetch(t,{method:`POST`,credentials:`same-origin`,headers:{"Content-Type":`application/yaml`},body:n,signal:r??null}),a=await i.json().catch(()=>void 0);if(!i.ok)throw e(i,a,``);return a}var o=`title: Sign-in as root over SSH
status: experimental
description: What it finds, and why that is odd.
author: ''
level: medium
tags:
  - attack.initial-access
  - attack.t1078
logsource:
  product: linux
  service: sshd
detection:
  selection:
    user: root
    message|contains: Accepted
  condition: selection
falsepositives:
  - Maintenance by the operators
`;function s(e){return e.replace(/^id:.*\n/gm,``)}export{r as a,a as i,i as n,n as o,t as r,s,o as t};